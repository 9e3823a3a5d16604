// What happens when a kernel or a copy touches what is not there: the signal ends it, not the process.
#pragma once

#include "driver.h"

#include <csetjmp>

namespace shim {
struct Guarded {
    sigjmp_buf back;
    int signal = 0;
    std::uintptr_t address = 0;
    alignas(16) char stack[16 << 10];  // on which to get away from a stack that overflowed
};
extern constinit thread_local Guarded *guard __attribute__((tls_model("initial-exec")));

[[noreturn]] void get_away();
CUresult error_of(int signal, std::uintptr_t address, std::string &message);
}  // namespace shim
