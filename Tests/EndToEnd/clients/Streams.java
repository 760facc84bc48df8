// Java's HttpClient: an upload, and then many event streams. Arguments: the address, the version of TLS, how many streams, for how many
// seconds. Prints: how many opened, their events, their comments, the versions of HTTP, and what the upload was answered.

import java.net.URI;
import java.net.Socket;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

public class Streams {
    static class Everybody extends X509ExtendedTrustManager {
        public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
        public void checkClientTrusted(X509Certificate[] chain, String kind) {}
        public void checkServerTrusted(X509Certificate[] chain, String kind) {}
        public void checkClientTrusted(X509Certificate[] chain, String kind, Socket socket) {}
        public void checkServerTrusted(X509Certificate[] chain, String kind, Socket socket) {}
        public void checkClientTrusted(X509Certificate[] chain, String kind, SSLEngine engine) {}
        public void checkServerTrusted(X509Certificate[] chain, String kind, SSLEngine engine) {}
    }

    public static void main(String[] arguments) throws Exception {
        String address = arguments[0];
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {new Everybody()}, new SecureRandom());
        SSLParameters parameters = context.getDefaultSSLParameters();
        parameters.setProtocols(new String[] {arguments[1]});
        HttpClient client = HttpClient.newBuilder().sslContext(context).sslParameters(parameters).build();
        AtomicInteger opened = new AtomicInteger(), events = new AtomicInteger(), comments = new AtomicInteger();
        Set<String> versions = new ConcurrentSkipListSet<>();
        // Streams that begin before a first answer has come would begin a connection each.
        HttpRequest upload = HttpRequest.newBuilder(URI.create(address + "/upload"))
            .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[300_000])).build();
        HttpResponse<String> answer = client.send(upload, HttpResponse.BodyHandlers.ofString());
        versions.add(answer.version().toString());
        for (int number = 0; number < Integer.parseInt(arguments[2]); number++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(address + "/s" + number)).header("Accept", "text/event-stream").build();
            client.sendAsync(request, HttpResponse.BodyHandlers.ofLines()).thenAccept(response -> {
                opened.incrementAndGet();
                versions.add(response.version().toString());
                Thread reader = new Thread(() -> response.body().forEach(line -> {
                    if (line.startsWith("data:")) events.incrementAndGet();
                    if (line.startsWith(":")) comments.incrementAndGet();
                }));
                reader.setDaemon(true);
                reader.start();
            });
        }
        Thread.sleep(Long.parseLong(arguments[3]) * 1000);
        System.out.println(opened + " " + events + " " + comments + " " + String.join(",", versions) + " " + answer.body());
        System.exit(0);
    }
}
