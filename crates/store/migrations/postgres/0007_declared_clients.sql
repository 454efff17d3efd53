CREATE TABLE declared_clients (
    id TEXT NOT NULL PRIMARY KEY
);
