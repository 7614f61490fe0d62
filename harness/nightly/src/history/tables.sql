-- The history of nights; docs/nightly.md describes it.
create table if not exists night(
    id integer primary key,
    started integer not null,      -- seconds since 1970
    revision text not null,        -- as git describes it
    form text not null,            -- full or short
    part text not null,            -- I/N; 1/1 of several parts that were put together
    seconds real,                  -- null: it did not get to its end; of parts put together, the longest
    status integer);               -- 0 in order, 1 not
create table if not exists part(       -- of a night that was put together
    night integer not null references night(id),
    part text not null,
    started integer not null,
    primary key (night, part));
create table if not exists qemu(
    night integer not null references night(id),
    version text not null,
    program text not null,         -- where it was found
    primary key (night, version));
create table if not exists cell(
    night integer not null references night(id),
    name text not null,
    traces integer not null,
    operations integer not null,
    seconds real not null,
    status integer not null);      -- exit status
create table if not exists problem(
    night integer not null references night(id),
    cell text not null,
    trace text not null,
    text text not null,
    flaky integer not null,        -- 1: came out in order when run again
    change text not null default '', -- what changed, without addresses: the same of traces in which the same changed
    bisect text not null default ''); -- arguments of parallax bisect that finds its commit, beside the revisions
create table if not exists fault(
    night integer not null references night(id),
    name text not null,
    caught integer not null,       -- 1: by all runs of its trace
    primary key (night, name));
create table if not exists measure(
    night integer not null references night(id),
    name text not null,
    value real not null);
