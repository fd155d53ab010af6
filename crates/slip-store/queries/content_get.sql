SELECT body FROM content WHERE generation = $1 AND until_ms > $2
