//! Error codes of hypercalls: negative Linux `errno` values in x1, as pKVM returns them.

/// Wrong page state, or not allowed now.
pub const EPERM: i64 = -1;
/// There is no such thing (page, mapping, event).
pub const ENOENT: i64 = -2;
/// Out of pages for tables.
pub const ENOMEM: i64 = -12;
/// In use: pinned, referenced, or needed by the hypervisor itself.
pub const EBUSY: i64 = -16;
/// No such device.
pub const ENODEV: i64 = -19;
/// Bad size, bad alignment, or a range that crosses a region.
pub const EINVAL: i64 = -22;

/// SMCCC return value in x0: the call was understood; its result is in x1.
pub const SMCCC_SUCCESS: i64 = 0;
/// SMCCC return value in x0: no such function.
pub const SMCCC_NOT_SUPPORTED: i64 = -1;

/// Every error code that has a name, for parsers and printers.
pub const NAMES: &[(i64, &str)] = &[
    (EPERM, "EPERM"),
    (ENOENT, "ENOENT"),
    (ENOMEM, "ENOMEM"),
    (EBUSY, "EBUSY"),
    (ENODEV, "ENODEV"),
    (EINVAL, "EINVAL"),
];

/// The name of error code `code` (negative), if it has one here.
#[must_use]
pub fn name(code: i64) -> Option<&'static str> {
    NAMES.iter().find(|(value, _)| *value == code).map(|(_, name)| *name)
}

/// The error code (negative) that `name` stands for.
#[must_use]
pub fn from_name(name: &str) -> Option<i64> {
    NAMES.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}
