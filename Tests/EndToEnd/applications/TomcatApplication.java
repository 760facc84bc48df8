// Tomcat with one protected servlet and one for all other paths; says which of them answered. Arguments: the port, a folder to work in.

import java.io.IOException;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

public class TomcatApplication {
    static HttpServlet saying(String text) {
        return new HttpServlet() {
            @Override
            protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
                response.getWriter().print(text);
            }
        };
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("encodedSolidusHandling", "decode");
        Context context = tomcat.addContext("", arguments[1]);
        Tomcat.addServlet(context, "events", saying("protected"));
        Tomcat.addServlet(context, "others", saying("open"));
        context.addServletMappingDecoded("/events", "events");
        context.addServletMappingDecoded("/", "others");
        tomcat.start();
        tomcat.getServer().await();
    }
}
