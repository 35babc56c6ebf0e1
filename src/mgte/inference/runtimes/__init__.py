"""What executes the encoder, one file per engine, behind the `Runtime` seam."""
