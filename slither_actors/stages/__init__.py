"""GenStage on actors: producers and consumers with demand."""
