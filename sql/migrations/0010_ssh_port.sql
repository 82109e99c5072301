-- Git servers of one's own often have their SSH at another port than 22, which is the machine's.
ALTER TABLE repos ADD COLUMN ssh_port INTEGER NOT NULL DEFAULT 22 CHECK (ssh_port BETWEEN 1 AND 65535);
