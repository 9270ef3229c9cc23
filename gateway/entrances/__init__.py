"""Who may come in where: one URL family a file, everything that is checked before a socket is accepted."""
