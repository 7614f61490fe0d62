//! Commands and events: any bits decode.

use parallax_smmu::{Command, CommandKind, Event, EventKind};
use proptest::prelude::*;

#[test]
fn the_fields_of_a_record_do_not_overlap() {
    let lists = CommandKind::ALL.iter().map(|kind| (kind.name(), kind.places(), 2));
    let lists = lists.chain(EventKind::ALL.iter().map(|kind| (kind.name(), kind.places(), 4)));
    for (name, places, words) in lists {
        let mut taken = vec![0_u64; words];
        taken[0] = 0xff;
        for place in places {
            assert!(place.lo <= place.hi && place.hi < 64 && place.word < words, "{name} {}", place.name);
            let mask = (u64::MAX >> (63 - (place.hi - place.lo))) << place.lo;
            assert_eq!(taken[place.word] & mask, 0, "{name} {}", place.name);
            taken[place.word] |= mask;
        }
    }
}

proptest! {
    #[test]
    fn any_command_prints_and_its_bits_are_fields_or_reserved(raw in any::<[u64; 2]>(), opcode in any::<u8>()) {
        let command = Command([raw[0] & !0xff | u64::from(opcode), raw[1]]);
        prop_assert!(command.to_string().starts_with(command.kind().name()));
        let reserved = command.reserved_bits();
        let cleaned = Command([command.0[0] & !reserved[0], command.0[1] & !reserved[1]]);
        prop_assert_eq!(cleaned.reserved_bits(), [0, 0]);
        prop_assert!(cleaned.fields().eq(command.fields()), "reserved bits are in no field");
    }

    #[test]
    fn any_event_prints_and_names_its_stream(raw in any::<[u64; 4]>(), number in any::<u8>()) {
        let mut raw = raw;
        raw[0] = raw[0] & !0xff | u64::from(number);
        let event = Event(raw);
        prop_assert!(event.to_string().contains(event.kind().name()));
        if let Some(sid) = event.field("StreamID") {
            prop_assert_eq!(sid, u64::from(event.stream_id()));
        }
        prop_assert_eq!(event.class().is_some(), event.field("CLASS").is_some());
    }
}
