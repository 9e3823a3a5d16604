/// What `./stepd bench` runs: every figure the project promises, measured and held to its target.
///
/// Start at [dev.stepd.bench.Bench]; the benchmarks themselves lie in the packages they measure.
@NullMarked
package dev.stepd.bench;

import org.jspecify.annotations.NullMarked;
