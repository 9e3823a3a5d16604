package dev.stepd.tensor;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.Arrays;

/// Element types by their safetensors names. All values are little-endian.
public enum DType {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    I64(8),
    I32(4),
    I8(1),
    U8(1);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /// Bytes per element.
    public int bytes() {
        return bytes;
    }

    /// The dtype called `name`.
    ///
    /// @throws ServiceException [ErrorCode#UNKNOWN_NAME] naming `field` and the nearest dtype
    public static DType of(String field, String name) {
        for (var dtype : values()) {
            if (dtype.name().equals(name)) {
                return dtype;
            }
        }
        var known = Arrays.stream(values()).map(DType::name).toList();
        throw new ServiceException(ErrorCode.UNKNOWN_NAME,
                field + ": unknown dtype \"" + name + "\", known are " + known + Nearest.hint(name, known));
    }
}
