package dev.stepd.engine;

import dev.stepd.tensor.TensorSpec;
import java.util.ArrayList;
import java.util.List;

/// How the tensors of a session lie end to end in a flat array: group by group, each in declared order.
///
/// @param places one for each tensor, in flat order
/// @param elementCount elements of the flat array
public record Layout(List<Place> places, long elementCount) {
    /// @param index the tensor's position in the session's declaration
    /// @param group the group it belongs to; 0 is the default group, `i + 1` the session's `groups[i]`
    /// @param offset elements before it in the flat array
    public record Place(TensorSpec tensor, int index, int group, long offset) {
        public long elementCount() {
            return tensor.elementCount();
        }
    }

    public Layout {
        places = List.copyOf(places);
    }

    /// How many elements the session declares before each tensor, by declared index: as if there were no groups.
    long[] origins() {
        var origins = new long[places.size() + 1];
        for (var place : places) {
            origins[place.index() + 1] = place.elementCount();
        }
        for (int i = 0; i < places.size(); i++) {
            origins[i + 1] += origins[i];
        }
        return origins;
    }

    /// @param groupOf the group of each tensor, by declared index
    static Layout of(List<TensorSpec> tensors, List<Integer> groupOf) {
        var places = new ArrayList<Place>();
        long offset = 0;
        int groups = groupOf.stream().mapToInt(g -> g).max().orElse(0) + 1;
        for (int group = 0; group < groups; group++) {
            for (int index = 0; index < tensors.size(); index++) {
                if (groupOf.get(index) == group) {
                    places.add(new Place(tensors.get(index), index, group, offset));
                    offset = Math.addExact(offset, tensors.get(index).elementCount());
                }
            }
        }
        return new Layout(places, offset);
    }
}
