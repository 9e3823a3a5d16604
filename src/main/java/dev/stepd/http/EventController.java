package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Sessions;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Consumes;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Produces;
import io.micronaut.http.netty.body.NettyByteBodyFactory;
import io.micronaut.http.server.netty.NettyHttpRequest;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import java.util.Optional;

/// What happens to a session, told as it happens.
@Controller("/v1/sessions/{id}/events")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class EventController {
    private static final String LAST = "last_event_id";

    private final Sessions sessions;
    private final HttpSettings settings;

    EventController(Sessions sessions, HttpSettings settings) {
        this.sessions = sessions;
        this.settings = settings;
    }

    @Get(headRoute = false)
    HttpResponse<?> events(String id, ServerHttpRequest<?> request) {
        var last = last(request, QueryParameters.of(request, LAST));
        var session = sessions.find(id);
        var loop = ((NettyHttpRequest<?>) request).getChannelHandlerContext().channel().eventLoop();
        var feed = new EventFeed(loop, settings.eventKeepAlive(), ready -> session.events(last, ready));
        var body = ((NettyByteBodyFactory) request.byteBodyFactory()).adapt(feed, new DefaultHttpHeaders(), feed::discard);
        return HttpResponse.ok(body).contentType(Media.EVENTS_TYPE).header("Cache-Control", "no-store");
    }

    /// A browser that reconnects says it in a header, whoever cannot set one in the query.
    private static Optional<String> last(ServerHttpRequest<?> request, QueryParameters query) {
        var header = Optional.ofNullable(request.getHeaders().get("Last-Event-ID"));
        var asked = query.text(LAST);
        if (header.isPresent() && asked.isPresent() && !header.equals(asked)) {
            throw new ServiceException(ErrorCode.INVALID_REQUEST,
                    "Last-Event-ID is " + header.get() + " and " + LAST + " is " + asked.get() + ", expected one of them");
        }
        return header.or(() -> asked);
    }
}
