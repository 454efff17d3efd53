ALTER TABLE ip_entries ADD COLUMN owner TEXT;
ALTER TABLE ip_entries ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE ip_entries ADD COLUMN owner_group TEXT;
DROP INDEX ip_entries_target;
CREATE UNIQUE INDEX ip_entries_target ON ip_entries (list, net, session);
CREATE INDEX ip_entries_owner ON ip_entries (owner) WHERE owner IS NOT NULL;
CREATE INDEX ip_entries_session ON ip_entries (session) WHERE owner IS NOT NULL;
