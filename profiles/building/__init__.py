"""The device profiles that ship, made from the published rows in `published/`.

A profile is *calibrated* where a power law, latency = 1000 x GFLOP^exponent / rate, could be fitted to published fp32
rows of plain Transformers on that device and those cores; its error comes from leaving one model out. It is *estimated*
where there are too few rows: the rate is the share of a core's fp32 peak that cores of its class reached, and the error
comes from leaving one device out, and from rows that took no part in any fit (ncnn, where it may use fp16).
"""
