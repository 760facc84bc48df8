// Tomcat with a servlet that sends an event after pauses of random length. The servlet sets no timeout of its own, so that Tomcat ends each
// response after its `asyncTimeout`, whatever was sent. That is 30 s where nobody has set it, also for Spring's SseEmitter.
//
//     java -cp JARS EventServer.java PORT FOLDER PAUSE-SECONDS LIMIT-SECONDS

import jakarta.servlet.AsyncContext;
import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.ServletOutputStream;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.apache.catalina.Context;
import org.apache.catalina.Wrapper;
import org.apache.catalina.startup.Tomcat;

public class EventServer {
    static final ScheduledExecutorService CLOCK = Executors.newScheduledThreadPool(4);

    /** One response: an event, a pause, and so on until the client leaves or Tomcat ends it. */
    static class Stream implements AsyncListener, Runnable {
        final AsyncContext context;
        final double pause;
        int number = 0;
        boolean isOver = false;

        Stream(AsyncContext context, double pause) {
            this.context = context;
            this.pause = pause;
        }

        @Override
        public synchronized void run() {
            if (isOver) return;
            try {
                number += 1;
                ServletOutputStream out = context.getResponse().getOutputStream();
                out.print("id: " + number + "\ndata: tick number " + number + "\n\n");
                out.flush();
                double seconds = -Math.log(1 - ThreadLocalRandom.current().nextDouble()) * pause;
                CLOCK.schedule(this, (long) (seconds * 1000), TimeUnit.MILLISECONDS);
            } catch (IOException clientLeft) {
                end();
            }
        }

        synchronized void end() {
            if (isOver) return;
            isOver = true;
            context.complete();
        }

        @Override
        public void onTimeout(AsyncEvent event) { end(); }

        @Override
        public void onError(AsyncEvent event) { end(); }

        @Override
        public synchronized void onComplete(AsyncEvent event) { isOver = true; }

        @Override
        public void onStartAsync(AsyncEvent event) {}
    }

    public static void main(String[] arguments) throws Exception {
        double pause = Double.parseDouble(arguments[2]);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setAsyncTimeout(Integer.parseInt(arguments[3]) * 1000);
        Context site = tomcat.addContext("", arguments[1]);
        Wrapper servlet = Tomcat.addServlet(site, "events", new HttpServlet() {
            @Override
            protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
                response.setContentType("text/event-stream");
                Stream stream = new Stream(request.startAsync(), pause);
                stream.context.addListener(stream);
                CLOCK.execute(stream);
            }
        });
        servlet.setAsyncSupported(true);
        site.addServletMappingDecoded("/", "events", false);
        tomcat.start();
        tomcat.getServer().await();
    }
}
