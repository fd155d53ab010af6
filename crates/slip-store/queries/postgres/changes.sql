SELECT coalesce(max(n) FILTER (WHERE what = 'keys'), 0), coalesce(max(n) FILTER (WHERE what = 'things'), 0) FROM changes
