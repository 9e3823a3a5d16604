package dev.stepd.device.cuda;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import jcuda.NativePointerObject;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// The one check of driver calls, and addresses in JCuda's pointer objects.
final class Cuda {
    /// JCuda wraps each address in an object of its own. Setting its field lets one object serve any number of calls.
    private static final VarHandle ADDRESS = addressField();

    private Cuda() {}

    /// @param call the function that was called, as in the driver's documentation
    /// @throws CudaError unless the result is success
    static void check(int result, String call) {
        if (result != CUresult.CUDA_SUCCESS) {
            throw error(result, call);
        }
    }

    /// Like [#check] for calls that give something back: with the context lost, it went with the context.
    static void checkRelease(int result, String call) {
        if (result != CUresult.CUDA_SUCCESS && !CudaError.isSticky(result)) {
            throw error(result, call);
        }
    }

    /// Like [#check] for questions: whether the answer is yes rather than "not yet".
    static boolean checkReady(int result, String call) {
        if (result == CUresult.CUDA_ERROR_NOT_READY) {
            return false;
        }
        check(result, call);
        return true;
    }

    private static CudaError error(int result, String call) {
        var name = new String[1];
        var text = new String[1];
        // both leave null where the driver knows no such number; JCuda names some itself
        JCudaDriver.cuGetErrorName(result, name);
        JCudaDriver.cuGetErrorString(result, text);
        return new CudaError(result, name[0] == null ? CUresult.stringFor(result) : name[0], text[0] == null ? "" : text[0], call);
    }

    static long address(NativePointerObject object) {
        return (long) ADDRESS.get(object);
    }

    /// Has `object` point to an address. Not for objects that JCuda made for Java buffers and arrays.
    static void point(NativePointerObject object, long address) {
        ADDRESS.set(object, address);
    }

    private static VarHandle addressField() {
        try {
            return MethodHandles.privateLookupIn(NativePointerObject.class, MethodHandles.lookup())
                    .findVarHandle(NativePointerObject.class, "nativePointer", long.class)
                    .withInvokeExactBehavior();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("JCuda keeps addresses in another field than in the version this was made for", e);
        }
    }
}
