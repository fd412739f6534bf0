"""Parts of the suites: what each plays, keeps and measures."""
