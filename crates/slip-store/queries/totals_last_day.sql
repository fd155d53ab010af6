SELECT max(at) FROM usage WHERE grain = 'd'
