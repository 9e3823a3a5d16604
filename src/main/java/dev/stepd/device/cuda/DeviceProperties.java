package dev.stepd.device.cuda;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;

import java.nio.charset.StandardCharsets;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;

/// What does not change about a GPU.
///
/// @param index the driver's number of the device: the `1` of `cuda:1`
/// @param capability compute capability, 90 for 9.0
/// @param threadsPerMultiprocessor that can be resident at once
/// @param copyEngines copies that can run beside kernels; 2 means both directions at once
/// @param sharedBytesPerBlock the most dynamic shared memory of a block whose function asked for it
public record DeviceProperties(
        int index,
        String name,
        int capability,
        long memoryBytes,
        int multiprocessors,
        int threadsPerMultiprocessor,
        int copyEngines,
        int sharedBytesPerBlock,
        int l2CacheBytes) {

    /// @param index below the number of devices
    static DeviceProperties read(int index) {
        var device = device(index);
        var name = new byte[256];
        Cuda.check(JCudaDriver.cuDeviceGetName(name, name.length, device), "cuDeviceGetName");
        var memory = new long[1];
        Cuda.check(JCudaDriver.cuDeviceTotalMem(memory, device), "cuDeviceTotalMem");
        int capability = 10 * attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                + attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        return new DeviceProperties(
                index,
                text(name),
                capability,
                memory[0],
                attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                attribute(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
                attribute(device, CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT),
                attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
                attribute(device, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE));
    }

    static CUdevice device(int index) {
        var device = new CUdevice();
        Cuda.check(JCudaDriver.cuDeviceGet(device, index), "cuDeviceGet");
        return device;
    }

    private static int attribute(CUdevice device, int attribute) {
        var value = new int[1];
        Cuda.check(JCudaDriver.cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
        return value[0];
    }

    private static String text(byte[] terminated) {
        int length = 0;
        while (length < terminated.length && terminated[length] != 0) {
            length++;
        }
        return new String(terminated, 0, length, StandardCharsets.UTF_8);
    }
}
