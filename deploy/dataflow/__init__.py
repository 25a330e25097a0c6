"""The main job as a Dataflow Flex Template."""
