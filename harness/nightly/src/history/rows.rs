//! Rows of the tables.

use rusqlite::{OptionalExtension, Row, params};

use super::{Cell, Fault, History, Measure, Night, Part, Problem, Qemu};
use crate::error::NightError;

/// Tables with rows of nights.
const OF_A_NIGHT: [&str; 6] = ["part", "qemu", "cell", "problem", "fault", "measure"];

impl History {
    /// Notes that a night begins; gives its number.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn begin(&self, night: &Night) -> Result<i64, NightError> {
        let row = params![night.started, night.revision, night.form, night.part];
        let statement = "insert into night(started, revision, form, part) values (?,?,?,?)";
        self.told(self.db.execute(statement, row))?;
        Ok(self.db.last_insert_rowid())
    }

    /// Notes that it came to its end.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn end(&self, night: i64, seconds: f64, status: u8) -> Result<(), NightError> {
        let statement = "update night set seconds = ?, status = ? where id = ?";
        self.told(self.db.execute(statement, params![seconds, status, night])).map(drop)
    }

    /// Notes a part that the night was put together of.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add_part(&self, night: i64, part: &Part) -> Result<(), NightError> {
        let row = params![night, part.part, part.started];
        self.told(self.db.execute("insert into part values (?,?,?)", row)).map(drop)
    }

    /// Notes a QEMU.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add_qemu(&self, night: i64, qemu: &Qemu) -> Result<(), NightError> {
        let row = params![night, qemu.version, qemu.program];
        self.told(self.db.execute("insert or ignore into qemu values (?,?,?)", row)).map(drop)
    }

    /// Notes what was run. That comes once all is there that is not in order of it.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add_cell(&self, night: i64, cell: &Cell) -> Result<(), NightError> {
        let row = params![night, cell.name, cell.traces, cell.operations, cell.seconds, cell.status];
        self.told(self.db.execute("insert into cell values (?,?,?,?,?,?)", row)).map(drop)
    }

    /// Notes what is not in order.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add_problem(&self, night: i64, problem: &Problem) -> Result<(), NightError> {
        let Problem { cell, trace, text, flaky, change, bisect } = problem;
        let row = params![night, cell, trace, text, flaky, change, bisect];
        let what =
            "insert into problem (night, cell, trace, text, flaky, change, bisect) values (?,?,?,?,?,?,?)";
        self.told(self.db.execute(what, row)).map(drop)
    }

    /// Notes a run of a fault's trace: the fault is caught if all runs find it.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add_fault(&self, night: i64, fault: &Fault) -> Result<(), NightError> {
        let statement = "insert into fault values (?,?,?) \
                         on conflict do update set caught = min(caught, excluded.caught)";
        self.told(self.db.execute(statement, params![night, fault.name, fault.caught])).map(drop)
    }

    /// Notes a measure, in place of one of that name.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add_measure(&self, night: i64, measure: &Measure) -> Result<(), NightError> {
        let row = params![night, measure.name];
        self.told(self.db.execute("delete from measure where night = ? and name = ?", row))?;
        let row = params![night, measure.name, measure.value];
        self.told(self.db.execute("insert into measure values (?,?,?)", row)).map(drop)
    }

    /// Notes a whole night under a number of its own, which it gives.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn add(&self, night: &Night) -> Result<i64, NightError> {
        let id = self.begin(night)?;
        night.parts.iter().try_for_each(|part| self.add_part(id, part))?;
        night.qemus.iter().try_for_each(|qemu| self.add_qemu(id, qemu))?;
        night.problems.iter().try_for_each(|problem| self.add_problem(id, problem))?;
        night.cells.iter().try_for_each(|cell| self.add_cell(id, cell))?;
        night.faults.iter().try_for_each(|fault| self.add_fault(id, fault))?;
        night.measures.iter().try_for_each(|measure| self.add_measure(id, measure))?;
        if let (Some(seconds), Some(status)) = (night.seconds, night.status) {
            self.end(id, seconds, status)?;
        }
        Ok(id)
    }

    /// Takes a night out.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn remove(&self, night: i64) -> Result<(), NightError> {
        for table in OF_A_NIGHT {
            self.told(self.db.execute(&format!("delete from {table} where night = ?"), [night]))?;
        }
        self.told(self.db.execute("delete from night where id = ?", [night])).map(drop)
    }

    /// All nights, the oldest first.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn nights(&self) -> Result<Vec<Night>, NightError> {
        let ids =
            self.told(self.rows("select id from night where id > ? order by id", 0, |row| row.get(0)))?;
        ids.into_iter().map(|id: i64| self.night(id)).collect()
    }

    /// The last night, if there is one.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn last(&self) -> Result<Option<Night>, NightError> {
        let id = self.db.query_row("select max(id) from night", [], |row| row.get(0));
        let id: Option<i64> = self.told(id)?;
        id.map(|id| self.night(id)).transpose()
    }

    /// The night with this number.
    ///
    /// # Errors
    /// There is none, or the history cannot be read.
    pub fn night(&self, id: i64) -> Result<Night, NightError> {
        let found = self.told(self.load(id).optional())?;
        let none = || NightError::Unfit(format!("{} has no night {id}", self.folder.display()));
        found.ok_or_else(none)
    }

    fn load(&self, id: i64) -> rusqlite::Result<Night> {
        let what = "select started, revision, form, part, seconds, status from night where id = ?";
        let mut night = self.db.query_row(what, [id], |row| {
            let (revision, form, part): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let begun = Night::begun(row.get(0)?, &revision, &form, &part);
            Ok(Night { night: id, seconds: row.get(4)?, status: row.get(5)?, ..begun })
        })?;
        night.parts =
            self.rows("select part, started from part where night = ? order by part", id, |row| {
                Ok(Part { part: row.get(0)?, started: row.get(1)? })
            })?;
        let what = "select version, program from qemu where night = ? order by version";
        night.qemus = self.rows(what, id, |row| Ok(Qemu { version: row.get(0)?, program: row.get(1)? }))?;
        let what =
            "select name, traces, operations, seconds, status from cell where night = ? order by rowid";
        night.cells = self.rows(what, id, |row| {
            let (traces, operations, seconds) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Cell { name: row.get(0)?, traces, operations, seconds, status: row.get(4)? })
        })?;
        // A history of before there were these columns does not have them.
        let column = |name| self.has_column("problem", name).map(|has| if has { name } else { "''" });
        let (change, bisect) = (column("change")?, column("bisect")?);
        let what = format!(
            "select cell, trace, text, flaky, {change}, {bisect} from problem where night = ? order by rowid"
        );
        night.problems = self.rows(&what, id, |row| {
            let (cell, trace, text) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (flaky, change, bisect) = (row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(Problem { cell, trace, text, flaky, change, bisect })
        })?;
        let what = "select name, caught from fault where night = ? order by name";
        night.faults = self.rows(what, id, |row| Ok(Fault { name: row.get(0)?, caught: row.get(1)? }))?;
        let what = "select name, value from measure where night = ? order by name";
        night.measures = self.rows(what, id, |row| Ok(Measure { name: row.get(0)?, value: row.get(1)? }))?;
        Ok(night)
    }

    fn rows<T>(
        &self,
        what: &str,
        id: i64,
        of: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.db.prepare(what)?.query_map([id], of)?.collect()
    }
}
