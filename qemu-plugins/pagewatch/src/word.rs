//! Instruction words, beside those of loads and stores, by what is recorded of them (DDI 0487, C4.1).

/// TLBI, with CRn 8 or, for the FEAT_XS variants, 9.
pub(crate) const fn is_tlbi(word: u32) -> bool {
    matches!(word & 0xfff8_f000, 0xd508_8000 | 0xd508_9000)
}

/// DSB, DMB or ISB.
pub(crate) const fn is_barrier(word: u32) -> bool {
    word & 0xffff_f01f == 0xd503_301f && matches!(word >> 5 & 7, 0b100..=0b110)
}

/// MSR of a register to a system register.
pub(crate) const fn is_msr(word: u32) -> bool {
    word & 0xfff0_0000 == 0xd510_0000
}

/// MRS of ESR_EL2, FAR_EL2 or HPFAR_EL2: which of [`SYNDROME`].
pub(crate) fn syndrome(word: u32) -> Option<usize> {
    SYNDROME.iter().position(|(code, _)| word & !31 == *code)
}

/// Registers that tell of an exception: the word of an MRS to X0, and QEMU's name.
pub(crate) const SYNDROME: [(u32, &str); 3] =
    [(0xd53c_5200, "ESR_EL2"), (0xd53c_6000, "FAR_EL2"), (0xd53c_6080, "HPFAR_EL2")];

/// DC that cleans or invalidates (C5.3), which has CRm 6, 10, 11, 12 or 14.
pub(crate) const fn is_dc(word: u32) -> bool {
    word & 0xfff8_f000 == 0xd508_7000 && matches!(word >> 8 & 15, 6 | 10..=12 | 14)
}

/// SMC.
pub(crate) const fn is_smc(word: u32) -> bool {
    word & 0xffe0_001f == 0xd400_0003
}

/// ERET, without or with pointer authentication.
pub(crate) const fn is_eret(word: u32) -> bool {
    matches!(word, 0xd69f_03e0 | 0xd69f_0bff | 0xd69f_0fff)
}

/// Number of the general-purpose register Rt; 31 is the zero register.
pub(crate) const fn rt(word: u32) -> u8 {
    (word & 31) as u8
}
