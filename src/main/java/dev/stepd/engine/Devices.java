package dev.stepd.engine;

import dev.stepd.device.Device;
import dev.stepd.device.HostMemory;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.regex.Pattern;

/// The devices sessions may live on, and who gets which. Safe for concurrent use. Owns the devices.
public final class Devices implements AutoCloseable {
    /// Wherever there is room, on what is faster first.
    public static final String AUTO = "auto";

    private static final String CPU = "cpu";
    private static final String CUDA = "cuda";
    /// What else people call it.
    private static final Pattern GPUS = Pattern.compile("(?i)(gpu|nvidia|cuda|geforce)[^a-z]*");

    private final List<Device> all;
    private final String withoutCuda;

    /// @param all in the order they are told of and tried
    /// @param withoutCuda why none of them is a CUDA device and what to do about it, for who asks for one
    public Devices(List<Device> all, String withoutCuda) {
        this.all = List.copyOf(all);
        this.withoutCuda = withoutCuda;
    }

    /// The devices there are, lost ones included.
    public List<Device> all() {
        return all;
    }

    /// The names of the devices there are.
    public List<String> names() {
        return all.stream().map(Device::name).toList();
    }

    /// The devices a session may be on, the one to try first at the front: what does not fit one may fit the next.
    ///
    /// @param asked `cpu`, `cuda:1`; `cuda` for any CUDA device; `auto` for the CUDA device with most room, then for the others
    /// @throws ServiceException `DEVICE_UNAVAILABLE` for a device this server has not or has lost, `INVALID_VALUE` for what names none
    List<Device> find(String asked) {
        var named = all.stream().filter(device -> asked.equals(AUTO) || isNamed(device, asked)).toList();
        var usable = named.stream().filter(device -> device.reasonLost() == null).toList();
        if (usable.isEmpty()) {
            throw !named.isEmpty() ? lost(asked, named) : isDevice(asked) ? absent(asked) : unknown(asked);
        }
        return asked.equals(AUTO) ? byRoom(usable) : usable;
    }

    private static boolean isNamed(Device device, String asked) {
        return device.name().equals(asked) || kind(device.name()).equals(asked);
    }

    private static List<Device> byRoom(List<Device> usable) {
        var room = new HashMap<Device, Long>(); // asked for once: it changes meanwhile
        usable.forEach(device -> room.put(device, device.memory().freeBytes()));
        return usable.stream()
                .sorted(Comparator.comparing((Device device) -> !isCuda(device.name())).thenComparing(room::get, Comparator.reverseOrder()))
                .toList();
    }

    /// Main memory for what belongs to no device.
    HostMemory host() {
        return all.stream().filter(device -> device.name().equals(CPU)).findFirst().orElse(all.getFirst()).host();
    }

    private ServiceException absent(String asked) {
        boolean reason = isCuda(asked) && names().stream().noneMatch(Devices::isCuda);
        return new ServiceException(ErrorCode.DEVICE_UNAVAILABLE, "device is " + asked + ", this server has " + names()
                + (reason ? ": " + withoutCuda : ""));
    }

    private ServiceException lost(String asked, List<Device> named) {
        var reasons = named.stream().map(device -> device.name() + " is lost until stepd restarts: " + device.reasonLost()).toList();
        return new ServiceException(ErrorCode.DEVICE_UNAVAILABLE, "device is " + asked + ", but " + String.join("; ", reasons)
                + "; name another, this server has " + names());
    }

    private ServiceException unknown(String asked) {
        var known = new ArrayList<>(List.of(AUTO, CPU, CUDA));
        names().stream().filter(name -> !known.contains(name)).forEach(known::add);
        return new ServiceException(ErrorCode.INVALID_VALUE, "device is " + asked + ", expected auto, cpu, cuda or cuda:<number>"
                + (GPUS.matcher(asked).matches() ? "; did you mean \"" + CUDA + "\"?" : Nearest.hint(asked, known))
                + "; this server has " + names());
    }

    private static boolean isDevice(String name) {
        return name.equals(CPU) || name.matches(CUDA + "(:[0-9]{1,3})?");
    }

    private static boolean isCuda(String name) {
        return kind(name).equals(CUDA);
    }

    private static String kind(String name) {
        int number = name.indexOf(':');
        return number < 0 ? name : name.substring(0, number);
    }

    @Override
    public void close() {
        all.forEach(Device::close);
    }
}
