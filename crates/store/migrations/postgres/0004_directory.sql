CREATE TABLE directory_groups (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    doc TEXT NOT NULL
);
