//! Every list of a recording has a limit.

use super::*;

#[test]
fn every_list_has_its_limit() {
    let (_dir, path) = recorded();
    let lines = lines_of(&path);
    let list = |item: &str, count: usize| vec![item; count].join(",");
    let numbers = |count: usize| (0..count).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",");
    let request = "{\"cpu\":0,\"op\":0,\"args\":[0,0,0,0,0,0,0]}";
    let page = "{\"pa\":\"0x0\",\"words\":[]}";
    let words = |words: &str| format!("\"pages\":[{{\"pa\":\"0x0\",\"words\":[{words}]}}]");
    let before = |field: &str| lines[3].split_once(&format!("\"{field}\":")).expect("a field").0.to_owned();
    let cases = [
        (
            "requests",
            format!("\"requests\":[{}]", list(request, (1 << 16) + 1)),
            "more than 65536 items in a list",
        ),
        ("pages", format!("\"pages\":[{}]", list(page, (1 << 16) + 1)), "more than 65536 items in a list"),
        ("pages", words(&list("[0,[\"0x1\"]]", 513)), "more than 512 items in a list"),
        ("pages", words(&format!("[0,[{}]]", list("\"0x1\"", 513))), "more than 512 items in a list"),
        ("pages", words("[0,[]]"), "a run of no words"),
        ("smmu", format!("\"smmu\":{{{}}}", numbers(4097)), "more than 4096 items in a map"),
    ];
    for (field, instead, what) in cases {
        let line = format!("{}{instead}}}\n", before(field));
        handmade(&path, &[&lines[0], &format!("{}{}{line}", lines[1], lines[2]), "{\"entries\":3}\n"]);
        let mut replay = Replay::open(&path).unwrap();
        replay.step().unwrap();
        let error = replay.step().unwrap_err().to_string();
        assert!(error.contains("a.plx:4: column ") && error.ends_with(what), "{what}: {error}");
    }
    let site = |n: usize| format!("\"{n:#x}\":{{\"place\":\"\",\"instruction\":\"\",\"around\":\"\"}}");
    let sites = (0..(1 << 18) + 1).map(site).collect::<Vec<_>>().join(",");
    let refused = |header: &str, footer: &str, what: &str| {
        handmade(&path, &[header, &lines[1], footer]);
        let error = Replay::open(&path).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    refused(
        &lines[0],
        &format!("{{\"entries\":1,\"sites\":{{{sites}}}}}\n"),
        "more than 262144 items in a map",
    );
    refused(&lines[0], "{\"entries\":5000000}\n", "more than 4194304 operations");
    let region = "{\"name\":\"x\",\"base\":0,\"size\":0}";
    let regions = lines[0].replacen("\"regions\":[", &format!("\"regions\":[{},", list(region, 257)), 1);
    refused(&regions, "{\"entries\":1}\n", "a.plx:1: more than 256 regions");
    let extra = lines[0].replacen("\"extra\":[", &format!("\"extra\":[{}", list("\"\"", 1 << 20)), 1);
    refused(&extra, "{\"entries\":1}\n", "a.plx:1: longer than 1 MiB");
}
