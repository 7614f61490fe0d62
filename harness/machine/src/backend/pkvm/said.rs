//! What there is to say of a kernel with which something went wrong.

use parallax_addr::ImageVa;

use super::Live;
use crate::error::MachineError;
use crate::rsp::RspError;
use crate::symbols::Symbols;

/// Lines of the console that are shown.
const LINES: usize = 12;
/// How the kernel's lines about its hypervisor begin, behind the time, and what one says where that did not come up.
const OF_KVM: &str = "kvm [";
const NOT_UP: &str = "error initializing Hyp mode";

/// What is said of a kernel that did not even begin to speak.
const SILENT: &str = "the console said nothing at all: is this an arm64 kernel that boots under QEMU? `qemu-system-aarch64 -machine \
    virt,virtualization=on -cpu cortex-a76 -m 1G -nographic -append console=ttyAMA0 -kernel IMAGE` shows whether it does";

impl Live {
    /// Where each CPU is that does not come back, and the end of the console. The machine stands still then.
    pub(super) fn standing(&mut self) -> String {
        let counters = self.counters().unwrap_or_default();
        let symbols = self.symbols.as_ref();
        let name =
            |(number, pc): (usize, &u64)| format!("cpu{number} at {}\n", place(symbols, self.idle, *pc));
        let places: String = counters.iter().enumerate().map(name).collect();
        format!("{places}{}", last(&self.qemu.uart_tail()))
    }

    /// The program counter of each CPU.
    fn counters(&mut self) -> Result<Vec<u64>, RspError> {
        let Self { runtime, client, cpus, set, .. } = self;
        runtime.block_on(async {
            client.interrupt().await?;
            let mut counters = Vec::new();
            for cpu in cpus.iter() {
                client.command(&format!("Hg{}", cpu.thread)).await?;
                counters.extend(client.read_registers(&[set.pc()]).await?);
            }
            Ok(counters)
        })
    }
}

/// What there is at `pc`; an idle CPU of the host waits at `idle`.
fn place(symbols: Option<&Symbols>, idle: u64, pc: u64) -> String {
    let at = ImageVa::new(pc);
    match symbols {
        _ if pc == idle => format!("{pc:#x} (the host's idle loop)"),
        Some(symbols) if symbols.image_at(at).is_some() => symbols.describe(at),
        Some(_) => format!("{pc:#x} (outside of EL2's image)"),
        None => format!("{pc:#x}"),
    }
}

/// `error`, with what a kernel whose `console` this is says of its hypervisor. One that did not come up is the kernel's failure, and not
/// one of who looks at it.
pub(super) fn with_words(error: MachineError, console: &str) -> MachineError {
    let said: Vec<&str> = console.lines().filter(|line| line.contains(OF_KVM)).map(str::trim).collect();
    match error {
        MachineError::Foreign(_) if said.iter().any(|line| line.contains(NOT_UP)) => {
            MachineError::Contract(format!("the kernel's hypervisor did not come up\n{}", said.join("\n")))
        }
        MachineError::Foreign(what) if !said.is_empty() => {
            MachineError::Foreign(format!("{what}\nthe kernel said:\n{}", said.join("\n")))
        }
        error => error,
    }
}

/// The last lines of the `console` of a kernel that does not come up, or what to look at where it said nothing.
pub(super) fn in_boot(console: &str) -> String {
    if console.trim().is_empty() {
        return SILENT.to_owned();
    }
    last(console)
}

/// The last lines of `console`.
pub(super) fn last(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    let omitted =
        if from > 0 { format!("... ({from} lines of the console before)\n") } else { String::new() };
    omitted + &lines[from..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Image;

    #[test]
    fn a_hypervisor_that_did_not_come_up_is_the_kernels_failure() {
        let error = || MachineError::Foreign("looked for x".to_owned());
        let up = "[ 0.1] smp: ok\r\n[ 0.2] kvm [1]: nv: 482 coarse grained trap handlers\r\n";
        let text = with_words(error(), up).to_string();
        assert!(text.contains("looked for x\nthe kernel said:\n[ 0.2] kvm [1]: nv"), "{text}");
        let down = format!("{up}[ 0.3] kvm [1]: error initializing Hyp mode: -22\r\n");
        let error = with_words(error(), &down);
        assert!(matches!(&error, MachineError::Contract(text) if text.ends_with("Hyp mode: -22")), "{error}");
        assert_eq!(
            with_words(MachineError::SwitchedOff, &down).to_string(),
            MachineError::SwitchedOff.to_string()
        );
    }

    #[test]
    fn a_silent_console_is_told() {
        assert!(in_boot(" \r\n").contains("said nothing at all: is this an arm64 kernel"));
        assert_eq!(in_boot("a\nb"), "a\nb");
    }

    #[test]
    fn a_cpu_of_the_host_is_not_at_el2() {
        let (code, names) = (vec![0; 8], [("el2".to_owned(), ImageVa::new(0x1000))].into());
        let hyp = Image::of_symbols(ImageVa::new(0x1000), code, names);
        let symbols = Symbols { hyp, payload: Image::default() };
        let place = |pc| place(Some(&symbols), 0x2000, pc);
        assert_eq!(place(0x1004), "0x1004 el2+0x4");
        assert_eq!(place(0x2000), "0x2000 (the host's idle loop)");
        assert_eq!(place(0x3000), "0x3000 (outside of EL2's image)");
    }

    #[test]
    fn the_end_of_a_console_is_shown() {
        assert_eq!(last("a\nb"), "a\nb");
        let long: String = (0..20).map(|number| format!("{number}\n")).collect();
        let text = last(&long);
        assert!(
            text.starts_with("... (8 lines of the console before)\n8\n") && text.ends_with("\n19"),
            "{text}"
        );
    }
}
