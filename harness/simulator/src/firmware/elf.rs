//! The ELF file of a firmware, as a linker for the chip would lay it out.

use object::Endianness;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Writer};

use crate::chip::{Architecture, Model};

/// Behind image header and segment header, so that the flash page lines up with the mapped page.
const DESCRIPTOR_OFFSET: u32 = 0x20;
/// espflash finds the application descriptor by this section's name.
const CONSTANTS: &[u8] = b".flash.appdesc";
const CODE: &[u8] = b".iram0.text";
/// `entry a1, 32`, then a jump to itself.
const XTENSA_CODE: &[u8] = &[0x36, 0x41, 0x00, 0x06, 0xFF, 0xFF, 0x00, 0x00];
/// A jump to itself.
const RISCV_CODE: &[u8] = &[0x6F, 0x00, 0x00, 0x00];

struct Part<'a> {
    name: &'static [u8],
    address: u32,
    data: &'a [u8],
    executable: bool,
}

/// Makes the file from the bytes of the mapped constants.
pub(super) fn write(chip: &Model, constants: &[u8]) -> Vec<u8> {
    let (machine, code) = match chip.architecture {
        Architecture::Xtensa => (elf::EM_XTENSA, XTENSA_CODE),
        Architecture::RiscV => (elf::EM_RISCV, RISCV_CODE),
    };
    let parts = [
        Part {
            name: CONSTANTS,
            address: chip.memory.mapped_data + DESCRIPTOR_OFFSET,
            data: constants,
            executable: false,
        },
        Part { name: CODE, address: chip.memory.instruction_ram, data: code, executable: true },
    ];
    let header = FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: machine,
        e_entry: chip.memory.instruction_ram.into(),
        e_flags: Default::default(),
    };
    let mut bytes = Vec::new();
    lay_out(&header, &parts, &mut bytes)
        .expect("a file of two small sections is within all limits");
    bytes
}

fn lay_out(
    header: &FileHeader,
    parts: &[Part<'_>],
    bytes: &mut Vec<u8>,
) -> object::write::Result<()> {
    let mut writer = Writer::new(Endianness::Little, false, bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(parts.len() as u32);
    let mut offsets = Vec::new();
    let mut names = Vec::new();
    writer.reserve_null_section_index();
    for part in parts {
        offsets.push(writer.reserve(part.data.len() as u64, 4));
        names.push(writer.add_section_name(part.name));
        writer.reserve_section_index();
    }
    writer.reserve_shstrtab_section_index();
    writer.reserve_shstrtab()?;
    writer.reserve_section_headers();

    writer.write_file_header(header)?;
    writer.write_align_program_headers();
    for (part, offset) in parts.iter().zip(&offsets) {
        writer.write_program_header(&program_header(part, *offset));
    }
    for (part, offset) in parts.iter().zip(&offsets) {
        writer.pad_until(*offset);
        writer.write(part.data);
    }
    writer.write_shstrtab();
    writer.write_null_section_header();
    for ((part, offset), name) in parts.iter().zip(&offsets).zip(&names) {
        let name = writer.section_name_offset(Some(*name));
        writer.write_section_header(&section_header(part, *offset, name));
    }
    writer.write_shstrtab_section_header();
    Ok(())
}

fn program_header(part: &Part<'_>, offset: u64) -> ProgramHeader {
    ProgramHeader {
        p_type: elf::PT_LOAD,
        p_flags: if part.executable { elf::PF_R | elf::PF_X } else { elf::PF_R },
        p_offset: offset,
        p_vaddr: part.address.into(),
        p_paddr: part.address.into(),
        p_filesz: part.data.len() as u64,
        p_memsz: part.data.len() as u64,
        p_align: 4,
    }
}

fn section_header(part: &Part<'_>, offset: u64, name: u32) -> SectionHeader {
    SectionHeader {
        sh_name: name,
        sh_type: elf::SHT_PROGBITS,
        sh_flags: if part.executable {
            elf::SHF_ALLOC | elf::SHF_EXECINSTR
        } else {
            elf::SHF_ALLOC
        },
        sh_addr: part.address.into(),
        sh_offset: offset,
        sh_size: part.data.len() as u64,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: 4,
        sh_entsize: 0,
    }
}
