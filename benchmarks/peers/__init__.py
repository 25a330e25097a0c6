"""What else one could use: the programs that the main job is compared with."""
