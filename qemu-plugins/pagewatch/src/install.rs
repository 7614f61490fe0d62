//! Registration with QEMU, whose callbacks have another form from version 7 of its plugin API on (QEMU 11.1): a pointer
//! of the plugin's own as their last argument, and no plugin's id before the others. The bindings end before that. What
//! else this plugin calls is the same in both.
//!
//! QEMU reads the version that a plugin is made for from a variable of the library, before anything of it runs. The
//! bindings say 4 there; for a QEMU that wants 7 the harness starts with a copy of the library that says so.
//!
//! # Safety argument
//! [`seven`] declares what QEMU's own header does, and is called only if QEMU says that it speaks that version. The
//! callbacks use the block only while QEMU lends it.

use std::ffi::{c_uint, c_void};
use std::ptr;
use std::sync::PoisonError;

use qemu_plugin::plugin::{PLUGIN, Plugin};
use qemu_plugin::sys::qemu_plugin_tb;
use qemu_plugin::{
    Info, PluginId, Result, TranslationBlock, qemu_plugin_register_vcpu_init_cb,
    qemu_plugin_register_vcpu_tb_trans_cb,
};

/// The first version whose callbacks have a pointer of the plugin's own.
const SEVEN: i64 = 7;
/// Stands for the plugin's id, which not all callbacks are told and this plugin does not use.
const NO_ID: PluginId = 0;

mod seven {
    use super::{PluginId, c_uint, c_void, qemu_plugin_tb};

    unsafe extern "C" {
        pub(super) fn qemu_plugin_register_vcpu_init_cb(
            id: PluginId,
            callback: extern "C" fn(c_uint, *mut c_void),
            own: *mut c_void,
        );
        pub(super) fn qemu_plugin_register_vcpu_tb_trans_cb(
            id: PluginId,
            callback: extern "C" fn(*mut qemu_plugin_tb, *mut c_void),
            own: *mut c_void,
        );
    }
}

/// Has QEMU call back for every CPU that starts and for every block that it translates.
pub(crate) fn register(id: PluginId, info: &Info) -> Result<()> {
    if info.version.current < SEVEN {
        qemu_plugin_register_vcpu_init_cb(id, Some(cpu_starts_four))?;
        return qemu_plugin_register_vcpu_tb_trans_cb(id, Some(block_translated_four));
    }
    // SAFETY: QEMU speaks version 7, so these are its functions and take callbacks of this form.
    unsafe {
        seven::qemu_plugin_register_vcpu_init_cb(id, cpu_starts, ptr::null_mut());
        seven::qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated, ptr::null_mut());
    }
    Ok(())
}

extern "C" fn cpu_starts_four(_: PluginId, cpu: c_uint) {
    cpu_starts(cpu, ptr::null_mut());
}

extern "C" fn block_translated_four(_: PluginId, block: *mut qemu_plugin_tb) {
    block_translated(block, ptr::null_mut());
}

extern "C" fn cpu_starts(cpu: c_uint, _: *mut c_void) {
    with_plugin(|plugin| plugin.on_vcpu_init(NO_ID, cpu));
}

extern "C" fn block_translated(block: *mut qemu_plugin_tb, _: *mut c_void) {
    with_plugin(|plugin| plugin.on_translation_block_translate(NO_ID, TranslationBlock::from(block)));
}

fn with_plugin(call: impl FnOnce(&mut dyn Plugin) -> Result<()>) {
    if let Some(plugin) = PLUGIN.get() {
        let mut plugin = plugin.lock().unwrap_or_else(PoisonError::into_inner);
        call(plugin.as_mut()).expect("QEMU lists its registers");
    }
}
