DELETE FROM keys WHERE hash = $1
