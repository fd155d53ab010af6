SELECT max(day) FROM spend
