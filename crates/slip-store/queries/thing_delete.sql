DELETE FROM things WHERE kind = $1 AND id = $2
