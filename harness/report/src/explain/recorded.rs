//! The story of a recorded operation.

use parallax_addr::ImageVa;
use parallax_engine::status::Failure;
use parallax_machine::recording::Replay;
use parallax_machine::{Machine, MachineError};
use parallax_model::guest_regimes;
use parallax_model::raw::Roots;
use parallax_model::table_map::{Table, ste_arrays, tables};
use parallax_smmu::strtab::SteArray;

use super::context::{OperationContext, Wanted};
use super::events::events_text;

/// What the operation that `after` stands at did to the entries that are `wanted`. `before` is of the same recording.
///
/// # Errors
/// The recording is damaged, or `after` stands at the boot.
pub fn story(before: &mut Replay, after: &mut Replay, wanted: Wanted) -> Result<String, Failure> {
    let boot = || Failure::usage("the stores of the boot are not recorded");
    before.go_to(after.position().checked_sub(1).ok_or_else(boot)?).map_err(MachineError::from)?;
    let known = all_tables(before)?;
    let new: Vec<Table> = all_tables(after)?.into_iter().filter(|table| !known.contains(table)).collect();
    let mut streams = all_streams(before)?;
    let new_streams = all_streams(after)?;
    streams.extend(new_streams.into_iter().filter(|array| !streams.contains(array)).collect::<Vec<_>>());
    let (layout, pages) = (after.target().told.layout, after.target().told.pages);
    let own: Vec<_> = layout.own().collect();
    let names = after.target().address_map();
    let context = OperationContext {
        before: before.memory(),
        tables: &known,
        new_tables: &new,
        streams: &streams,
        pages,
        own: &own,
        map: &names,
        commands: layout.cmdq.cast(),
        smmu: layout.smmu.cast(),
        linear: layout.linear_offset,
        site: &|pc| after.site(ImageVa::new(pc)),
    };
    Ok(events_text(&context, wanted, &after.operation().events))
}

fn all_tables(replay: &mut Replay) -> Result<Vec<Table>, Failure> {
    let registers = replay.registers()?;
    let guests = guest_regimes(replay.memory(), &replay.target().told, &registers.sys);
    let roots = Roots { sys: &registers.sys, smmu: registers.smmu.as_ref(), guests: &guests };
    Ok(tables(replay.memory(), roots))
}

fn all_streams(replay: &mut Replay) -> Result<Vec<SteArray>, Failure> {
    let registers = replay.registers()?;
    Ok(ste_arrays(replay.memory(), registers.smmu.as_ref()))
}
