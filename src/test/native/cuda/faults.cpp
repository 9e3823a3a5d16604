#include "faults.h"

#include <csignal>
#include <cstdio>
#include <ucontext.h>

namespace shim {
constinit thread_local Guarded *guard = nullptr;

void get_away() { siglongjmp(guard->back, 1); }

namespace {
struct sigaction earlier[65];

void on_signal(int signal, siginfo_t *info, void *machine) {
    if (guard == nullptr) {
        // not ours: the virtual machine's, or the end
        auto &before = earlier[signal];
        if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(signal, info, machine);
        else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) std::signal(signal, SIG_DFL);
        else before.sa_handler(signal);
        return;
    }
    guard->signal = signal;
    guard->address = (std::uintptr_t) info->si_addr;
    auto *registers = ((ucontext_t *) machine)->uc_mcontext.gregs;
    registers[REG_RSP] = (greg_t) (guard->stack + sizeof guard->stack - 64 - 8);
    registers[REG_RIP] = (greg_t) &get_away;
}
}  // namespace

void install_handlers() {
    struct sigaction mine = {};
    mine.sa_sigaction = on_signal;
    mine.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &mine, &earlier[signal]);
}

CUresult error_of(int signal, std::uintptr_t address, std::string &message) {
    char text[120];
    if (signal == SIGILL) {
        message = "an illegal instruction";
        return ILLEGAL_INSTRUCTION;
    }
    if (signal == SIGFPE) {
        message = "an integer division by zero";
        return LAUNCH_FAILED;
    }
    std::snprintf(text, sizeof text, "touched the address 0x%zx", (std::size_t) address);
    message = text;
    return ILLEGAL_ADDRESS;
}

bool guarded(const std::function<void()> &body, CUresult &error, std::string &message) {
    auto here = std::make_unique<Guarded>();
    Guarded *before = guard;
    if (sigsetjmp(here->back, 0) == 0) {
        guard = here.get();
        body();
        guard = before;
        return true;
    }
    auto *fault = guard;
    guard = before;
    error = error_of(fault->signal, fault->address, message);
    return false;
}
}  // namespace shim
