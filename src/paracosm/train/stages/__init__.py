"""The stages of training, one file each: a config, the networks and a loss. Each has ``main(config)``."""
