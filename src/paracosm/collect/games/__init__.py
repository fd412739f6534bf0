"""Real games behind the ``World`` contract: one file per game, none imported until it is asked for."""
