// A typical notification server: Spring MVC's SseEmitter on Tomcat, one emitter for each user in a map. Nothing here knows of Heartwire.
//
//     java -cp JARS Application PORT FOLDER TIMEOUT-MILLISECONDS
//
// POST /event             sends the body to everybody
// GET  /events?user=NAME  a user's stream, without ids; what is sent while the user is not connected is lost
// GET  /kept?user=NAME    the same with ids; what follows Last-Event-ID is sent again
// GET  /ends/...          ways in which a response can meet Tomcat's async timeout: they are there so that their bytes can be seen

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import javax.servlet.AsyncContext;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.apache.catalina.Context;
import org.apache.catalina.Wrapper;
import org.apache.catalina.startup.Tomcat;
import org.springframework.beans.factory.support.RootBeanDefinition;
import org.springframework.http.MediaType;
import org.springframework.http.converter.StringHttpMessageConverter;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseBody;
import org.springframework.web.context.request.async.AsyncRequestTimeoutException;
import org.springframework.web.context.support.GenericWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.ExceptionHandlerExceptionResolver;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

public class Application {
    /** Emitters by user. */
    static class Emitters {
        private final Map<String, SseEmitter> byUser = new ConcurrentHashMap<>();
        private final boolean removesAnybody;

        Emitters(boolean removesAnybody) {
            this.removesAnybody = removesAnybody;
        }

        SseEmitter add(String user) {
            SseEmitter emitter = new SseEmitter();
            byUser.put(user, emitter);
            // By name alone, as in countless tutorials, the end of a user's old response takes the emitter of the new one out of the map.
            Runnable remove = () -> { if (removesAnybody) byUser.remove(user); else byUser.remove(user, emitter); };
            emitter.onCompletion(remove);
            emitter.onTimeout(remove);
            return emitter;
        }

        void send(String id, String text) {
            byUser.forEach((user, emitter) -> {
                try {
                    emitter.send(event(id, text));
                } catch (IOException | IllegalStateException clientLeft) {
                    byUser.remove(user, emitter);
                }
            });
        }
    }

    static SseEmitter.SseEventBuilder event(String id, String text) {
        SseEmitter.SseEventBuilder event = SseEmitter.event();
        if (id != null) event.id(id);
        return event.data(text, MediaType.TEXT_PLAIN);
    }

    @Controller
    public static class Events {
        private final Emitters emitters = new Emitters(true), keptEmitters = new Emitters(false);
        private final List<String> kept = new ArrayList<>();

        @RequestMapping(value = "/event", method = RequestMethod.POST)
        @ResponseBody
        public synchronized String event(@RequestBody String text) {
            kept.add(text);
            emitters.send(null, text);
            keptEmitters.send(Integer.toString(kept.size()), text);
            return "sent\n";
        }

        @RequestMapping("/events")
        public SseEmitter events(@RequestParam("user") String user) throws IOException {
            SseEmitter emitter = emitters.add(user);
            emitter.send(SseEmitter.event().name("connected").data("welcome " + user, MediaType.TEXT_PLAIN));
            return emitter;
        }

        @RequestMapping("/kept")
        public synchronized SseEmitter keptEvents(
                @RequestParam("user") String user,
                @RequestHeader(value = "Last-Event-ID", required = false) Integer last) throws IOException {
            SseEmitter emitter = keptEmitters.add(user);
            emitter.send(SseEmitter.event().name("connected").data("welcome " + user, MediaType.TEXT_PLAIN));
            for (int number = last == null ? kept.size() : last; number < kept.size(); number++) {
                emitter.send(Application.event(Integer.toString(number + 1), kept.get(number)));
            }
            return emitter;
        }

        @RequestMapping("/ends/emitter")
        public SseEmitter emitter() throws IOException {
            SseEmitter emitter = new SseEmitter();
            emitter.send(Application.event("1", "first"));
            return emitter;
        }

        @RequestMapping("/ends/silent-emitter")
        public SseEmitter silentEmitter() {
            return new SseEmitter();
        }

        @RequestMapping("/ends/completed-emitter")
        public SseEmitter completedEmitter() throws IOException {
            SseEmitter emitter = new SseEmitter();
            emitter.onTimeout(emitter::complete);
            emitter.send(Application.event("1", "first"));
            return emitter;
        }
    }

    /** A controller of its own, because its exception handler answers with text, as many applications' do with JSON. */
    @Controller
    public static class Explained {
        @RequestMapping("/ends/explained-emitter")
        public SseEmitter explainedEmitter() throws IOException {
            SseEmitter emitter = new SseEmitter();
            emitter.send(Application.event("1", "first"));
            return emitter;
        }

        @ExceptionHandler(AsyncRequestTimeoutException.class)
        @ResponseBody
        public String timeout() {
            return "{\"status\":503,\"error\":\"Service Unavailable\"}";
        }
    }

    /** No Spring: a servlet that does not look after the timeout. */
    static class PlainServlet extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            AsyncContext context = request.startAsync();
            if (request.getServletPath().endsWith("silent-servlet")) return;
            response.setContentType("text/event-stream");
            context.getResponse().getOutputStream().print("id: 1\ndata: first\n\n");
            context.getResponse().getOutputStream().flush();
        }
    }

    static DispatcherServlet dispatcher(Context site) {
        GenericWebApplicationContext context = new GenericWebApplicationContext();
        List<Object> converters = Collections.singletonList(new StringHttpMessageConverter());
        context.registerBeanDefinition("mapping", new RootBeanDefinition(RequestMappingHandlerMapping.class));
        for (Class<?> user : new Class<?>[] {RequestMappingHandlerAdapter.class, ExceptionHandlerExceptionResolver.class}) {
            RootBeanDefinition definition = new RootBeanDefinition(user);
            definition.getPropertyValues().add("messageConverters", converters);
            context.registerBeanDefinition(user.getSimpleName(), definition);
        }
        context.registerBeanDefinition("unhandled", new RootBeanDefinition(
            org.springframework.web.servlet.mvc.support.DefaultHandlerExceptionResolver.class));
        context.registerBeanDefinition("events", new RootBeanDefinition(Events.class));
        context.registerBeanDefinition("explained", new RootBeanDefinition(Explained.class));
        context.setServletContext(site.getServletContext());
        return new DispatcherServlet(context);
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setAsyncTimeout(Integer.parseInt(arguments[2]));
        Context site = tomcat.addContext("", arguments[1]);
        Wrapper dispatcher = Tomcat.addServlet(site, "dispatcher", dispatcher(site));
        Wrapper plain = Tomcat.addServlet(site, "plain", new PlainServlet());
        dispatcher.setAsyncSupported(true);
        dispatcher.setLoadOnStartup(1);
        plain.setAsyncSupported(true);
        site.addServletMappingDecoded("/*", "dispatcher");
        site.addServletMappingDecoded("/ends/servlet", "plain");
        site.addServletMappingDecoded("/ends/silent-servlet", "plain");
        tomcat.start();
        tomcat.getServer().await();
    }
}
