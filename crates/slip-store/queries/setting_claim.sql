-- Of several that begin at once, one is the first.
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
