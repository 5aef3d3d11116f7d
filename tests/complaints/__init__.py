"""What users of neighbouring products complained of, each as a fact about ours; ``index.yaml`` lists them all."""
