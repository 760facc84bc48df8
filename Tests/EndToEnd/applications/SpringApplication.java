// A server as many run it: Spring MVC's SseEmitter on Tomcat 9, its asyncTimeout of 30 s cut down to 2 s. Arguments: port, a folder.
// It wants a bearer token, as Spring Security would, and tells in its first event behind which one its client comes back.

import java.util.Collections;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.apache.catalina.Wrapper;
import org.apache.catalina.startup.Tomcat;
import org.springframework.beans.factory.support.RootBeanDefinition;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.StringHttpMessageConverter;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.context.support.GenericWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

public class SpringApplication {
    @Controller
    public static class Events {
        private final ScheduledExecutorService scheduler = Executors.newScheduledThreadPool(2);

        /** Sends an event at once and, where `every` is not 0, another one each so many milliseconds. */
        @RequestMapping("/events")
        public ResponseEntity<SseEmitter> events(
                @RequestHeader(value = "Authorization", required = false) String authorization,
                @RequestHeader(value = "Last-Event-ID", required = false) String last,
                @RequestParam(value = "every", defaultValue = "0") int every) throws Exception {
            if (authorization == null) {
                return new ResponseEntity<>(HttpStatus.UNAUTHORIZED);
            }
            System.out.println("was sent " + authorization);
            SseEmitter emitter = new SseEmitter();
            int[] number = {last == null ? 0 : Integer.parseInt(last)};
            emitter.send(event(number, "after " + last));
            ScheduledFuture<?> ticks = every == 0 ? null : scheduler.scheduleAtFixedRate(() -> {
                try {
                    emitter.send(event(number, "tick"));
                } catch (Exception failure) {
                    System.out.println("send failed by " + failure.getClass().getSimpleName() + " at " + number[0]);
                    emitter.completeWithError(failure);
                }
            }, every, every, TimeUnit.MILLISECONDS);
            emitter.onCompletion(() -> {
                if (ticks != null) {
                    ticks.cancel(false);
                }
            });
            return new ResponseEntity<>(emitter, HttpStatus.OK);
        }

        private static SseEmitter.SseEventBuilder event(int[] number, String text) {
            number[0] += 1;
            return SseEmitter.event().id(Integer.toString(number[0])).data(text, MediaType.TEXT_PLAIN);
        }
    }

    public static void main(String[] arguments) throws Exception {
        GenericWebApplicationContext context = new GenericWebApplicationContext();
        context.registerBeanDefinition("mapping", new RootBeanDefinition(RequestMappingHandlerMapping.class));
        RootBeanDefinition adapter = new RootBeanDefinition(RequestMappingHandlerAdapter.class);
        adapter.getPropertyValues().add("messageConverters", Collections.singletonList(new StringHttpMessageConverter()));
        context.registerBeanDefinition("adapter", adapter);
        context.registerBeanDefinition("events", new RootBeanDefinition(Events.class));

        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setAsyncTimeout(2_000);
        org.apache.catalina.Context site = tomcat.addContext("", arguments[1]);
        context.setServletContext(site.getServletContext());
        DispatcherServlet dispatcher = new DispatcherServlet(context);
        Wrapper wrapper = Tomcat.addServlet(site, "dispatcher", dispatcher);
        wrapper.setAsyncSupported(true);
        wrapper.setLoadOnStartup(1);
        site.addServletMappingDecoded("/*", "dispatcher");
        tomcat.start();
        tomcat.getServer().await();
    }
}
