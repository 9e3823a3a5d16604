package dev.stepd.bench;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/// Times of things measured one after the other in the same iteration, so that what the machine does besides falls on
/// all of them alike. [Pairs] makes ratios of them.
@AuxCounters(AuxCounters.Type.EVENTS)
@State(Scope.Thread)
public class Nanos {
    /// What the server does.
    public long ours;
    /// What it is compared with.
    public long theirs;
    /// A further measurement, for information.
    public long other;
}
