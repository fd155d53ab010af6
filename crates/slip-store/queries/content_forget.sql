-- What was kept of a key's requests. There is less content than there are records: each piece is looked up, not each record.
DELETE FROM content WHERE EXISTS (SELECT 1 FROM generations WHERE generations.id = content.generation AND generations.key_hash = $1)
