"""Where a workload comes from when it is no sample model: files that somebody uploads and nobody vouches for."""
