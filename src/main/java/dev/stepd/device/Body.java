package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A device's side of what comes with steps: one body at a time, which lies in main memory and which plans read and write from
/// where they compute. For one thread at a time, not always the same; and for none while a plan runs over it. A new one holds nothing,
/// which does for plans that use nothing of a body.
public interface Body extends AutoCloseable {
    /// The next runs are about what lies in `host`; what was fetched before is forgotten. Memory of [Device#host] is fastest.
    ///
    /// @param host at least the bytes this was made for, or [MemorySegment#NULL] for nothing; stays the caller's, who keeps it until the
    ///     last of these runs or another is held, and changes nothing there between two runs that a plan reads
    void hold(MemorySegment host);

    /// Tells that all bytes of what is held have arrived that lie before `end`: a device may begin to fetch them while the next
    /// arrive. Not saying so is no mistake, a run takes everything for arrived. Comes from the threads that receive, while other
    /// things of the session may be under way on the device, such as a copy of its state.
    void arrived(long end);

    @Override
    void close();
}
