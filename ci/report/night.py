"""A history of twelve nights in the tables of ci/nightly, and its page: ci/report/night.py FOLDER."""
import sqlite3, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci"))
sys.dont_write_bytecode = True
import nightly_page

folder = Path(sys.argv[1])
folder.mkdir(parents=True)
db = sqlite3.connect(folder / "history.sqlite")
db.executescript((ROOT / "ci/nightly.sql").read_text())


def add(table, **row):
    marks = ", ".join("?" * len(row))
    return db.execute(f"insert into {table}({', '.join(row)}) values ({marks})", tuple(row.values())).lastrowid


OPERATIONS = ["host_share_hyp", "host_donate_hyp", "hyp_donate_host", "host_unshare_hyp", "dma_write"]
for number in range(1, 13):
    last = number == 12
    night = add("night", started=1790000000 + 86400 * number, revision=f"v0.4-{number}-g{0x5ad0f1 + number * 977:07x}", form="short",
                part="1/1", seconds=None if number == 5 else 480 + number * 7 % 40, status=None if number == 5 else int(number in (4, 12)))
    for version, where in (("10.0.2", "/usr/bin"), ("11.1.3", "target/tools/qemu-next/bin"))[:1 if number < 9 else 2]:
        add("qemu", night=night, version=version, program=f"{where}/qemu-system-aarch64")
    for name, traces, operations in (("step", 146, 2210), ("stream", 146, 2210), ("smmu=shared smmu.map=pages cpus=4", 63, 1490),
                                     ("hostile, seed 1", 1, 5000), ("faults", 73, 1020)):
        add("cell", night=night, name=name, traces=traces, operations=operations, seconds=operations / 41, status=int(last and name == "stream"))
    if number in (3, 8, 12):
        add("problem", night=night, cell="smmu=shared smmu.map=pages cpus=4", trace="traces/good/hostile_race.trace",
            text="golden differs at line 9; in order when run again", flaky=1)
    if number in (4, 12):
        add("problem", night=night, cell="stream", trace="traces/good/four_cpus.trace", flaky=0,
            text="after 14: cpu=3 host_donate_hyp pfn=ram+0x40\n  sync/extra smmu ram+0x40000..+0x41000: devices reach what the host's table gives to another <b>&")
    for fault in ("smmu_no_tlbi", "host_donate_no_tlbi", "smmu_split_unordered"):
        add("fault", night=night, name=fault, caught=int(not (last and fault == "smmu_split_unordered")))
    for name, value in (("operations a second", 1490 + (number * 37) % 120), ("lines of the hypervisor", 6012 + number * 11),
                        ("lines reached, percent", 97.2 + number * 0.04), ("faults caught", 73 - int(last)), ("faults tried", 73)):
        add("measure", night=night, name=name, value=value)
    for n, name in enumerate(OPERATIONS):
        add("measure", night=night, name=f"instructions of {name}", value=900 + 2100 * n + (310 if number > 8 and n == 1 else 0))
nightly_page.write(db, folder / "index.html")
