// The variables in static shared memory of a shared object that was compiled with device.h.
#pragma once

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <string>
#include <vector>

namespace shim {
// Of the function in which it is declared, by the linker's name for it, such as _ZZ6kernelE4name. Functions that
// are not extern "C" have no owner here: their variables are every kernel's that may call them.
struct SharedVariable {
    std::string owner;
    std::size_t offset;  // from where the object is loaded
    std::size_t bytes;
};

inline std::string owner_in(const char *name) {
    if (std::strncmp(name, "_ZZ", 3) != 0 || !std::isdigit((unsigned char) name[3])) return "";
    char *start;
    auto length = std::strtoul(name + 3, &start, 10);
    return {start, strnlen(start, length)};
}

inline std::vector<SharedVariable> shared_variables(const void *image) {
    std::vector<SharedVariable> found;
    auto *start = (const char *) image;
    auto *header = (const Elf64_Ehdr *) image;
    auto *sections = (const Elf64_Shdr *) (start + header->e_shoff);
    const char *section_names = start + sections[header->e_shstrndx].sh_offset;
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        auto *symbols = (const Elf64_Sym *) (start + sections[i].sh_offset);
        const char *names = start + sections[sections[i].sh_link].sh_offset;
        for (std::size_t k = 0; k < sections[i].sh_size / sizeof(Elf64_Sym); k++) {
            const Elf64_Sym &symbol = symbols[k];
            if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || symbol.st_shndx >= header->e_shnum) continue;
            if (std::strcmp(section_names + sections[symbol.st_shndx].sh_name, "shim_shared") != 0) continue;
            found.push_back({owner_in(names + symbol.st_name), symbol.st_value, symbol.st_size});
        }
    }
    return found;
}
}  // namespace shim
