INSERT INTO spend (key_hash, day, nano, byok_nano, requests) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (key_hash, day) DO UPDATE SET
    nano = nano + excluded.nano, byok_nano = byok_nano + excluded.byok_nano, requests = requests + excluded.requests
