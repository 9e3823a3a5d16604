// NVRTC for the host: compiles CUDA C with g++ and device.h into a shared object, which is the "cubin" that the
// shim's driver loads. Warnings and errors are g++'s.
#include "shared_variables.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <mutex>
#include <set>
#include <csignal>
#include <cerrno>
#include <spawn.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))
extern char **environ;

namespace {
enum Result {
    SUCCESS = 0, OUT_OF_MEMORY = 1, PROGRAM_CREATION_FAILURE = 2, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5,
    COMPILATION = 6,
};

struct Program {
    std::string source, name, log, image, architecture;
    bool compiled = false;
};

std::mutex lock;
std::set<Program *> programs;
int version_major = 13, version_minor = 0;
const int ARCHITECTURES[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

bool known(Program *program) {
    std::lock_guard hold(lock);
    return programs.contains(program);
}

// The folder this library lies in, where device.h is, too.
std::string home() {
    Dl_info info;
    if (dladdr((void *) &home, &info) == 0 || info.dli_fname == nullptr) return ".";
    char path[PATH_MAX];
    std::string file = realpath(info.dli_fname, path) != nullptr ? path : info.dli_fname;
    auto slash = file.rfind('/');
    return slash == std::string::npos ? "." : file.substr(0, slash);
}

// ---- the text

// The same text with comments and strings blank, so that what is found in it is code.
std::string code_of(const std::string &text) {
    std::string code = text;
    auto blank = [&](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to && i < code.size(); i++) if (code[i] != '\n') code[i] = ' ';
    };
    for (std::size_t i = 0; i < text.size(); i++) {
        std::size_t end = i;
        if (text.compare(i, 2, "//") == 0) end = text.find('\n', i);
        else if (text.compare(i, 2, "/*") == 0) end = (end = text.find("*/", i + 2)) == std::string::npos ? end : end + 2;
        else if (text[i] == '"') {
            for (end = i + 1; end < text.size() && text[end] != '"'; end++) if (text[end] == '\\') end++;
            end++;
        } else {
            continue;
        }
        end = std::min(end, text.size());
        if (text[i] != '"' || text.compare(i, 3, "\"C\"") != 0) blank(i, end);
        i = end - 1;
    }
    return code;
}

bool word(char c) { return std::isalnum((unsigned char) c) || c == '_'; }

std::size_t find_word(const std::string &code, const std::string &what, std::size_t from) {
    for (auto at = code.find(what, from); at != std::string::npos; at = code.find(what, at + 1)) {
        if ((at == 0 || !word(code[at - 1])) && !word(code[at + what.size()])) return at;
    }
    return std::string::npos;
}

struct Kernel { std::string name, bounds; };

// Every `__global__ [attributes] void [attributes] NAME(`.
std::vector<Kernel> kernels(const std::string &code) {
    std::vector<Kernel> found;
    for (auto at = find_word(code, "__global__", 0); at != std::string::npos; at = find_word(code, "__global__", at + 1)) {
        Kernel kernel;
        std::size_t i = at + std::strlen("__global__");
        while (i < code.size()) {
            while (i < code.size() && std::isspace((unsigned char) code[i])) i++;
            std::size_t start = i;
            while (i < code.size() && word(code[i])) i++;
            std::string token = code.substr(start, i - start);
            while (i < code.size() && std::isspace((unsigned char) code[i])) i++;
            if (token.empty()) break;
            if (token == "void") continue;
            if (token == "__launch_bounds__" || token == "__attribute__" || token == "__maxnreg__") {
                std::size_t open = i;
                int depth = 0;
                do {
                    depth += (code[i] == '(') - (code[i] == ')');
                    i++;
                } while (i < code.size() && depth > 0);
                if (token == "__launch_bounds__") kernel.bounds = code.substr(open + 1, i - open - 2);
                continue;
            }
            kernel.name = token;
            break;
        }
        bool again = std::any_of(found.begin(), found.end(), [&](const Kernel &k) { return k.name == kernel.name; });
        if (!kernel.name.empty() && !again) found.push_back(kernel);
    }
    return found;
}

// `extern __shared__ T name[];` becomes `extern T name[];`; the names, which all lie at the same place, are returned.
std::set<std::string> take_dynamic_shared(std::string &text, std::string &code) {
    std::set<std::string> names;
    for (auto at = find_word(code, "extern", 0); at != std::string::npos; at = find_word(code, "extern", at + 1)) {
        auto next = code.find_first_not_of(" \t\n", at + 6);
        if (next == std::string::npos || code.compare(next, 10, "__shared__") != 0) continue;
        auto bracket = code.find('[', next);
        auto end = bracket;
        while (end > next && std::isspace((unsigned char) code[end - 1])) end--;
        auto start = end;
        while (start > next && word(code[start - 1])) start--;
        if (bracket == std::string::npos) continue;
        names.insert(code.substr(start, end - start));
        text.replace(next, 10, "          ");
        code.replace(next, 10, "          ");
    }
    return names;
}

// What is added after the text: for each kernel a function to call it with an array of pointers, and one that
// describes it.
std::string trampolines(const std::vector<Kernel> &found, const std::set<std::string> &dynamic, int architecture) {
    std::ostringstream out;
    out << "\n#line 1 \"generated\"\n#pragma GCC diagnostic ignored \"-Wsubobject-linkage\"\n"
        << "#define __SHIM_EXPORT extern \"C\" __attribute__((visibility(\"default\")))\n"
        << "__SHIM_EXPORT const int shim_architecture; const int shim_architecture = " << architecture << ";\n";
    for (const auto &kernel : found) {
        out << "__SHIM_EXPORT void shim_call_" << kernel.name << "(void **p) { __shim_call(" << kernel.name << ", p); }\n"
            << "__SHIM_EXPORT void shim_describe_" << kernel.name << "(__shim_kernel *k, unsigned *launch_bound) {\n"
            << "    __shim_describe(" << kernel.name << ", k);\n"
            << "    const unsigned bounds[] = {" << (kernel.bounds.empty() ? "1024" : kernel.bounds) << "};\n"
            << "    *launch_bound = bounds[0];\n}\n";
    }
    if (!dynamic.empty()) {
        out << "__asm__(\".pushsection .shim_dynamic,\\\"aw\\\",@nobits\\n.balign 256\\n.globl shim_dynamic_shared\\n";
        for (const auto &name : dynamic) out << ".globl " << name << "\\n.hidden " << name << "\\n" << name << ":\\n";
        out << "shim_dynamic_shared:\\n.skip " << (228 << 10) << "\\n.popsection\");\n";
    }
    return out.str();
}

// ---- g++

struct Folder {
    std::string path;
    Folder() {
        const char *temporary = std::getenv("TMPDIR");
        path = std::string(temporary == nullptr ? "/tmp" : temporary) + "/stepd-nvrtc-XXXXXX";
        if (mkdtemp(path.data()) == nullptr) path.clear();
    }
    ~Folder() {
        for (const char *file : {"/kernel.cu", "/kernel.so", "/log"}) unlink((path + file).c_str());
        rmdir(path.c_str());
    }
};

std::string contents(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

int run(const std::vector<std::string> &command, const std::string &log) {
    std::vector<char *> arguments;
    for (const auto &argument : command) arguments.push_back((char *) argument.c_str());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    // the virtual machine that we may live in blocks signals that a compiler should know
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    // nothing that is preloaded into us is the compiler's business; messages are English
    std::vector<char *> environment;
    for (char **entry = environ; *entry != nullptr; entry++) {
        if (std::strncmp(*entry, "LD_", 3) != 0 && std::strncmp(*entry, "LC_ALL=", 7) != 0) environment.push_back(*entry);
    }
    environment.push_back((char *) "LC_ALL=C");
    environment.push_back(nullptr);
    pid_t child;
    int failed = posix_spawnp(&child, arguments[0], &files, &attributes, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) return -1;
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const std::vector<std::string> FLAGS = {
    "-x", "c++", "-O0", "-shared", "-fPIC", "-nostdlib", "-nostdinc", "-fno-gnu-unique", "-fno-semantic-interposition", "-Wl,-Bsymbolic",
    "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fno-threadsafe-statics",
    // arithmetic as the device does it
    "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fwrapv", "-fno-strict-aliasing",
    // what would be wrong on the device only, or there only now and then
    "-fsanitize=alignment,bounds,shift-exponent,float-cast-overflow", "-fno-sanitize-recover=all",
    "-Wall", "-Wno-unknown-pragmas", "-Wno-maybe-uninitialized", "-Wno-unused-function", "-Wno-psabi"};

// What ptxas would say: a kernel's static shared memory has 48 KiB at most.
bool shared_memory_fits(Program &program, const std::vector<Kernel> &found) {
    const std::size_t most = 48 << 10;
    bool fits = true;
    for (const auto &kernel : found) {
        std::size_t bytes = 0;
        for (const auto &variable : shim::shared_variables(program.image.data())) {
            bool others = std::any_of(found.begin(), found.end(), [&](const Kernel &k) {
                return k.name == variable.owner && k.name != kernel.name;
            });
            if (!others) bytes += variable.bytes;
        }
        if (bytes <= most) continue;
        std::ostringstream line;
        line << "error: entry function '" << kernel.name << "' uses too much shared data (" << bytes << " bytes, "
             << most << " at most)\n";
        program.log += line.str();
        fits = false;
    }
    return fits;
}

Result compile(Program &program, const std::string &standard, int architecture, const std::vector<std::string> &defines) {
    Folder folder;
    if (folder.path.empty()) {
        program.log = "no temporary folder can be made";
        return OUT_OF_MEMORY;
    }
    std::string text = program.source, code = code_of(text);
    auto dynamic = take_dynamic_shared(text, code);
    auto found = kernels(code);
    {
        std::ofstream out(folder.path + "/kernel.cu", std::ios::binary);
        out << "#line 1 \"" << program.name << "\"\n" << text << trampolines(found, dynamic, architecture);
    }
    const char *compiler = std::getenv("CXX");
    std::vector<std::string> command = {compiler == nullptr || *compiler == 0 ? "g++" : compiler};
    command.insert(command.end(), FLAGS.begin(), FLAGS.end());
    command.push_back("-std=" + standard);
    if (__builtin_cpu_supports("fma")) command.push_back("-mfma");
    command.push_back("-D__CUDA_ARCH__=" + std::to_string(std::abs(architecture) * 10));
    command.insert(command.end(), defines.begin(), defines.end());
    for (const char *more : {"-include", "device.h", "-o", "kernel.so", "kernel.cu", "-lm"}) {
        std::string argument = more;
        if (argument == "device.h") argument = home() + "/device.h";
        else if (argument.starts_with("kernel.")) argument = folder.path + "/" + argument;
        command.push_back(argument);
    }
    int status = run(command, folder.path + "/log");
    program.log = contents(folder.path + "/log");
    if (status != 0) {
        if (program.log.empty()) program.log = command[0] + " cannot be run";
        return COMPILATION;
    }
    program.image = contents(folder.path + "/kernel.so");
    if (!shared_memory_fits(program, found)) return COMPILATION;
    program.compiled = true;
    return SUCCESS;
}

// ---- options

struct Options {
    std::string standard = "c++17";
    int architecture = 75;  // negative: a virtual one
    std::vector<std::string> defines;
    std::string wrong;
};

bool read_architecture(const std::string &text, Options &options) {
    bool is_virtual = text.starts_with("compute_");
    if (!is_virtual && !text.starts_with("sm_")) return false;
    char *end;
    long number = std::strtol(text.c_str() + (is_virtual ? 8 : 3), &end, 10);
    if (*end == 'a' || *end == 'f') end++;
    if (*end != 0 || std::find(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), number) == std::end(ARCHITECTURES)) return false;
    options.architecture = (int) (is_virtual ? -number : number);
    return true;
}

Options read(int count, const char *const *given) {
    static const std::set<std::string> ACCEPTED = {
        "-fmad=false", "-fmad=true", "-default-device", "--device-as-default-execution-space", "-lineinfo", "--generate-line-info",
        "-ftz=false", "-prec-div=true", "-prec-sqrt=true", "-restrict", "--restrict", "-w", "-dc", "--extra-device-vectorization",
        "-no-source-include", "--no-source-include", "-G", "--device-debug", "-Werror", "--display-error-number", "-err-no"};
    Options options;
    for (int i = 0; i < count && options.wrong.empty(); i++) {
        std::string option = given[i];
        auto equals = option.find('=');
        std::string name = option.substr(0, equals), value = equals == std::string::npos ? "" : option.substr(equals + 1);
        std::string single = name.starts_with("--") ? option.substr(1) : option;
        if (name == "--gpu-architecture" || name == "-arch") {
            if (!read_architecture(value, options)) options.wrong = option;
        } else if (name == "--std" || name == "-std") {
            if (value == "c++11" || value == "c++14" || value == "c++17" || value == "c++20") options.standard = value;
            else options.wrong = option;
        } else if (option.starts_with("-D") && option.size() > 2) {
            options.defines.push_back(option);
        } else if (name == "--define-macro") {
            options.defines.push_back("-D" + value);
        } else if (name == "-maxrregcount" || name == "--maxrregcount" || name == "-diag-suppress" || name == "--diag-suppress") {
            if (value.empty()) options.wrong = option;
        } else if (!ACCEPTED.contains(option) && !ACCEPTED.contains(single)) {
            options.wrong = option;
        }
    }
    return options;
}
}  // namespace

EXPORT int nvrtcVersion(int *major, int *minor) {
    if (major == nullptr || minor == nullptr) return INVALID_INPUT;
    *major = version_major;
    *minor = version_minor;
    return SUCCESS;
}

/// For tests: what nvrtcVersion says from now on.
EXPORT void shimNvrtcVersion(int major, int minor) {
    version_major = major;
    version_minor = minor;
}

EXPORT int nvrtcGetNumSupportedArchs(int *count) {
    if (count == nullptr) return INVALID_INPUT;
    *count = (int) std::size(ARCHITECTURES);
    return SUCCESS;
}

EXPORT int nvrtcGetSupportedArchs(int *architectures) {
    if (architectures == nullptr) return INVALID_INPUT;
    std::copy(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), architectures);
    return SUCCESS;
}

EXPORT const char *nvrtcGetErrorString(int result) {
    static const char *const NAMES[] = {
        "NVRTC_SUCCESS", "NVRTC_ERROR_OUT_OF_MEMORY", "NVRTC_ERROR_PROGRAM_CREATION_FAILURE", "NVRTC_ERROR_INVALID_INPUT",
        "NVRTC_ERROR_INVALID_PROGRAM", "NVRTC_ERROR_INVALID_OPTION", "NVRTC_ERROR_COMPILATION",
        "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE"};
    return result >= 0 && result < (int) std::size(NAMES) ? NAMES[result] : "NVRTC_ERROR unknown";
}

EXPORT int nvrtcCreateProgram(Program **program, const char *source, const char *name, int headers, const char *const *,
                              const char *const *) {
    if (program == nullptr || source == nullptr || headers != 0) return INVALID_INPUT;
    auto *made = new Program;
    made->source = source;
    made->name = name == nullptr || *name == 0 ? "default_program" : name;
    std::lock_guard hold(lock);
    programs.insert(made);
    *program = made;
    return SUCCESS;
}

EXPORT int nvrtcDestroyProgram(Program **program) {
    if (program == nullptr || !known(*program)) return INVALID_PROGRAM;
    std::lock_guard hold(lock);
    programs.erase(*program);
    delete *program;
    *program = nullptr;
    return SUCCESS;
}

EXPORT int nvrtcCompileProgram(Program *program, int count, const char *const *given) {
    if (!known(program)) return INVALID_PROGRAM;
    Options options = read(count, given);
    if (!options.wrong.empty()) {
        program->log = "nvrtc: error: invalid value or unrecognized option: '" + options.wrong + "'\n";
        return INVALID_OPTION;
    }
    return compile(*program, options.standard, options.architecture, options.defines);
}

EXPORT int nvrtcGetProgramLogSize(Program *program, std::size_t *bytes) {
    if (!known(program) || bytes == nullptr) return INVALID_PROGRAM;
    *bytes = program->log.size() + 1;
    return SUCCESS;
}
EXPORT int nvrtcGetProgramLog(Program *program, char *log) {
    if (!known(program) || log == nullptr) return INVALID_PROGRAM;
    std::memcpy(log, program->log.c_str(), program->log.size() + 1);
    return SUCCESS;
}

static int give_size(Program *program, std::size_t *bytes) {
    if (!known(program) || !program->compiled) return INVALID_PROGRAM;
    if (bytes == nullptr) return INVALID_INPUT;
    *bytes = program->image.size();
    return SUCCESS;
}
static int give(Program *program, char *image) {
    if (!known(program) || !program->compiled) return INVALID_PROGRAM;
    if (image == nullptr) return INVALID_INPUT;
    std::memcpy(image, program->image.data(), program->image.size());
    return SUCCESS;
}
EXPORT int nvrtcGetCUBINSize(Program *program, std::size_t *bytes) { return give_size(program, bytes); }
EXPORT int nvrtcGetCUBIN(Program *program, char *image) { return give(program, image); }
EXPORT int nvrtcGetPTXSize(Program *program, std::size_t *bytes) { return give_size(program, bytes); }
EXPORT int nvrtcGetPTX(Program *program, char *image) { return give(program, image); }
